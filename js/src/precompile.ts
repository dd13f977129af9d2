import { loadRuntime, type Pyodide } from "./runtime.js";

/**
 * Half of the time of a start, Python compiles its own files. This program does so once: each `.py` of an archive becomes a
 * `.pyc` that is not compared with its source. Files that are only for building and testing are left out.
 */
const PROGRAM = `
def precompile(source, target, prefix, optimize):
    import importlib.util, marshal, re, zipfile
    from importlib._bootstrap_external import _code_to_hash_pyc
    unneeded = re.compile(
        r"(^|/)(tests|f2py|include|lib/pkgconfig|_pyinstaller|pydoc_data)/|\\.(pyi|h|a|pxd|ini|pc|cmake|c|pyx|in|build|txt\\.in)$"
        r"|(_tests|_test)\\.[^/]*so$"
    )
    # Modules for screens, servers and mail that nothing in a page can use, and Python twins of modules in C.
    standard = re.compile(
        r"^(idlelib|tkinter|turtle|turtledemo|lib2to3|ensurepip|venv|curses|sqlite3|dbm|wsgiref|xmlrpc|_pyrepl|mailbox|smtplib|ftplib"
        r"|imaplib|poplib|cProfile|profile|pstats|profiling|zipapp|pdb|pydoc|doctest|trace|tabnanny|_pydatetime|_pydecimal|_pyio"
        r"|_ios_support|_android_support|_apple_support|_aix_support|_osx_support|webbrowser|socketserver|cgi|cgitb)(/|\\.py$)"
    )
    made = set()
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            name = info.filename
            if unneeded.search(name) or (optimize and standard.search(name)) or (name.endswith("/RECORD") and ".dist-info/" in name):
                continue
            data = old.read(info)
            if name.endswith(".py"):
                code = compile(data, prefix + name, "exec", dont_inherit=True, optimize=2 if optimize and "pyodide/" not in name else 0)
                data = bytes(_code_to_hash_pyc(code, importlib.util.source_hash(data), False))
                name += "c"
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(entry, data)
`;

interface Files {
  writeFile(path: string, data: Uint8Array): void;
  readFile(path: string): Uint8Array;
}

/** Compile the Python files of archives with the Pyodide that will run them. */
export async function precompile(
  indexURL: string,
  archives: Record<string, Uint8Array>,
): Promise<Record<string, Uint8Array>> {
  const python = (await loadRuntime({ indexURL }, () => undefined)) as Pyodide & { FS: Files };
  const [major, minor] = (python.runPython("import sys; '%d.%d' % sys.version_info[:2]") as string).split(".");
  python.runPython(PROGRAM);
  const out: Record<string, Uint8Array> = {};
  for (const [name, data] of Object.entries(archives)) {
    const prefix = name.endsWith(".whl")
      ? `/lib/python${major}.${minor}/site-packages/`
      : `/lib/python${major}${minor}.zip/`;
    python.FS.writeFile("/tmp/source.zip", data);
    python.runPython(
      `precompile("/tmp/source.zip", "/tmp/target.zip", ${JSON.stringify(prefix)}, ${name.startsWith("graphattend") ? "False" : "True"})`,
    );
    out[name] = python.FS.readFile("/tmp/target.zip").slice();
  }
  return out;
}
