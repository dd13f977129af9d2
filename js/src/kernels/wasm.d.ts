/** The modules of tools/build_js_kernels.py as text (build.mjs), each in a file of its own, so that only one is loaded. */
declare module "wasm:*" {
  const text: string;
  export default text;
}
