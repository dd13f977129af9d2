// Python for the blocks of the pages: started once, then a message with code gives a message with what it printed.
const PRELUDE = `
import ast, contextlib, io, os, sys, tempfile, traceback

os.chdir(tempfile.mkdtemp())
sessions = {}

def run(code, session):
    fresh = {"__name__": "__main__", "__file__": os.path.abspath("example.py")}
    names = sessions.setdefault(session, fresh) if session else fresh
    out = io.StringIO()
    failed = False
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            tree = ast.parse(code, "<example>")
            for statement in tree.body:
                exec(compile(ast.Interactive([statement]), "<example>", "single"), names)
        except ModuleNotFoundError as error:
            failed = True
            print(f"This block needs {error.name}, which is not in this page. Run it in a Python that has it.")
        except BaseException as error:
            failed = True
            shown = traceback.format_exception(error.with_traceback(error.__traceback__ and error.__traceback__.tb_next))
            print("".join(shown).rstrip())
    return out.getvalue().rstrip(), failed
run
`;

let python;

async function start(base) {
  const indexURL = new URL("pyodide/", base).href;
  const { loadPyodide } = await import(`${indexURL}pyodide.mjs`);
  const pyodide = await loadPyodide({ indexURL });
  await pyodide.loadPackage(["numpy", "graphattend"], { messageCallback: () => undefined });
  const run = pyodide.runPython(PRELUDE);
  const data = await (await fetch(new URL("data.json", base))).json(); // what the examples read
  pyodide.FS.mkdir("data");
  for (const [name, text] of Object.entries(data)) pyodide.FS.writeFile(`data/${name}`, text);
  pyodide.runPython("import numpy, graphattend");
  return run;
}

onmessage = async ({ data: { id, code, session, base } }) => {
  const begun = performance.now();
  try {
    python ??= start(base);
    const run = await python;
    const began = performance.now();
    const result = run(code, session);
    const [text, failed] = result.toJs();
    result.destroy();
    postMessage({ id, text, failed, milliseconds: Math.round(performance.now() - began) });
  } catch (error) {
    python = undefined;
    postMessage({ id, text: String(error), failed: true, milliseconds: Math.round(performance.now() - begun) });
  }
};
