// A software bill of materials in CycloneDX's JSON: what the npm package holds, needs and was made with.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

const sha256 = (data) => createHash("sha256").update(data).digest("hex");

/** A UUID that depends on the text alone. */
function uuid(text) {
  const bytes = createHash("sha256").update(text).digest().subarray(0, 16);
  bytes[6] = (bytes[6] & 0x0f) | 0x80; // version 8: made by a rule of one's own
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/** The bill; `packed` are files that the package is made from, by what they are. */
export function sbom(packed) {
  const about = JSON.parse(readFileSync("package.json", "utf8"));
  const root = `pkg:npm/${about.name}@${about.version}`;
  const npm = (name, version, scope, more) => {
    const purl = `pkg:npm/${name.replace(/^@/, "%40")}${version === undefined ? "" : `@${version}`}`;
    return { type: "library", "bom-ref": purl, name, ...(version && { version }), purl, scope, ...more };
  };
  const files = Object.entries(packed).map(([name, [path, description]]) => ({
    type: "file",
    "bom-ref": name,
    name,
    description,
    hashes: [{ alg: "SHA-256", content: sha256(readFileSync(path)) }],
  }));
  const peers = Object.entries(about.peerDependencies).map(([name, range]) =>
    npm(name, undefined, "optional", { properties: [{ name: "graphattend:requires", value: range }] }),
  );
  const tools = ["esbuild", "typescript"].map((name) =>
    npm(name, about.devDependencies[name], "excluded", { description: "compiles; not in the package" }),
  );
  const shipped = [...files, ...peers].map((component) => component["bom-ref"]).sort();
  const document = {
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: {
      lifecycles: [{ phase: "build" }],
      component: {
        type: "library",
        "bom-ref": root,
        name: about.name,
        version: about.version,
        purl: root,
        licenses: [{ license: { id: about.license } }],
      },
    },
    components: [...files, ...peers, ...tools],
    dependencies: [{ ref: root, dependsOn: shipped }, ...shipped.map((ref) => ({ ref }))],
  };
  const serialNumber = `urn:uuid:${uuid(JSON.stringify(document))}`;
  return `${JSON.stringify({ $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json", serialNumber, ...document }, null, 1)}\n`;
}
