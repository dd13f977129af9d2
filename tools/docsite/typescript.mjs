// The exported names of the npm package as JSON: node typescript.mjs graphattend=js/src/index.ts …
import { createRequire } from "node:module";
import { basename, join } from "node:path";

const root = join(import.meta.dirname, "..", "..");
const ts = createRequire(join(root, "js", "package.json"))("typescript");
const entries = process.argv.slice(2).map((word) => word.split("="));
const config = ts.getParsedCommandLineOfConfigFile(
  join(root, "js", "tsconfig.json"),
  {},
  { ...ts.sys, onUnRecoverableConfigFileDiagnostic: String },
);
const program = ts.createProgram(config.fileNames, config.options);
const checker = program.getTypeChecker();

const oneLine = (text) =>
  text
    .replace(/\/\*\*?[\s\S]*?\*\/|^\s*\/\/.*$/gm, "")
    .replace(/\s+/g, " ")
    .trim()
    .replace(/[;,]$/, "");

/** The comment above a declaration, with its default. */
function comment(node) {
  const symbol = node.symbol ?? checker.getSymbolAtLocation(node.name);
  if (!symbol) return "";
  const tags = symbol
    .getJsDocTags(checker)
    .map((tag) => `${tag.name === "default" ? "Default" : tag.name}: \`${ts.displayPartsToString(tag.text).trim()}\`.`);
  return [ts.displayPartsToString(symbol.getDocumentationComment(checker)), ...tags].filter(Boolean).join(" ");
}

/** The options of a call: members of a type that is written out in its parameters. */
function options(node) {
  const literals = [];
  for (const parameter of node.parameters ?? [])
    for (const type of parameter.type ? [parameter.type, ...(parameter.type.types ?? [])] : [])
      if (ts.isTypeLiteralNode(type)) literals.push(type);
  return literals.flatMap((type) =>
    type.members.map((m) => ({
      name: oneLine(m.name?.getText() ?? ""),
      signature: oneLine(m.getText()),
      doc: comment(m),
    })),
  );
}

/** A declaration without its body, on one line. */
function signature(node) {
  const source = node.getSourceFile().text;
  let text = source.slice(node.getStart(), node.body ? node.body.getStart() : node.getEnd());
  for (const parameter of node.parameters ?? [])
    for (const type of parameter.type ? [parameter.type, ...(parameter.type.types ?? [])] : [])
      if (ts.isTypeLiteralNode(type)) text = text.replace(type.getText(), "{ … }");
  return oneLine(text)
    .replace(/^export (declare )?/, "")
    .replace(/^async /, "")
    .replace(/\basync /, "");
}

const hidden = (node) =>
  /^[#_[]/.test(node.name?.getText() ?? "") ||
  (ts.getCombinedModifierFlags(node) & (ts.ModifierFlags.Private | ts.ModifierFlags.Protected)) !== 0 ||
  ts.getJSDocTags(node).some((tag) => tag.tagName.text === "internal");

/** Methods and fields of a class, an interface or a type that is written out. */
function members(node) {
  const list = node.members ?? (node.type && ts.isTypeLiteralNode(node.type) ? node.type.members : []);
  return [...list]
    .filter((m) => !hidden(m) && !(m.kind === ts.SyntaxKind.Constructor && node.name?.text !== "AttentionError"))
    .map((m) => {
      const nested =
        m.type &&
        ts.isTypeLiteralNode(m.type) &&
        m.type.members.length > 0 &&
        /^(Functions|MechanismMethods)$/.test(node.name?.text ?? "");
      const name = (m.name?.getText() ?? (m.kind === ts.SyntaxKind.Constructor ? "constructor" : "")).replace(
        /^"|"$/g,
        "",
      );
      return {
        name,
        signature: nested ? name : signature(m),
        doc: comment(m),
        options: options(m),
        members: nested ? members(m.type ? { members: m.type.members } : m) : [],
      };
    });
}

/** One exported name. */
function describe(name, exported) {
  const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
  const node = symbol.declarations[0];
  const found = {
    name,
    file: basename(node.getSourceFile().fileName),
    doc: ts.displayPartsToString(symbol.getDocumentationComment(checker)),
    members: [],
    options: [],
  };
  if (ts.isClassDeclaration(node) || ts.isInterfaceDeclaration(node)) {
    const heritage = (node.heritageClauses ?? []).map((clause) => clause.getText()).join(" ");
    const generics = node.typeParameters ? `<${node.typeParameters.map((p) => p.getText()).join(", ")}>` : "";
    return {
      ...found,
      kind: ts.isClassDeclaration(node) ? "class" : "interface",
      signature: oneLine(`${ts.isClassDeclaration(node) ? "class" : "interface"} ${name}${generics} ${heritage}`),
      members: members(node),
    };
  }
  if (ts.isFunctionDeclaration(node))
    return { ...found, kind: "function", signature: signature(node), options: options(node) };
  if (ts.isVariableDeclaration(node)) {
    const type = checker.typeToString(checker.getTypeOfSymbolAtLocation(symbol, node), node);
    return {
      ...found,
      kind: "const",
      signature: `const ${name}: ${type.length > 120 ? "object" : type}`,
      doc: found.doc,
    };
  }
  const literal = node.type && ts.isTypeLiteralNode(node.type);
  return {
    ...found,
    kind: "type",
    signature: literal ? `type ${name}` : oneLine(node.getText().replace(/^export /, "")),
    members: literal ? members(node) : [],
  };
}

const result = entries.map(([module, file]) => {
  const source = program.getSourceFile(join(root, file));
  const names = checker.getExportsOfModule(checker.getSymbolAtLocation(source));
  return { module, exports: names.map((symbol) => describe(symbol.getName(), symbol)) };
});
process.stdout.write(JSON.stringify(result));
