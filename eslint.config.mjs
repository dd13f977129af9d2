// ESLint for the npm package, the demo and the scripts beside them. The tools are installed in js/.
import { createRequire } from "node:module";

const require = createRequire(new URL("js/package.json", import.meta.url));
const tseslint = require("typescript-eslint");

const unused = { varsIgnorePattern: "^_", argsIgnorePattern: "^_", ignoreRestSiblings: true };

export default tseslint.config(
  { ignores: ["**/.*/", "**/dist/", "build/", "out/", "**/*.gen.ts"] },
  require("@eslint/js").configs.recommended,
  {
    rules: {
      "no-undef": "off", // the compiler's part; scripts run in Node.js and in pages
      "no-unused-vars": ["error", unused],
      "prefer-const": ["error", { destructuring: "all" }],
      "no-empty": ["error", { allowEmptyCatch: true }],
    },
  },
  {
    files: ["js/src/**/*.ts", "web/src/**/*.{ts,tsx}"],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "no-unused-vars": "off",
      "@typescript-eslint/no-unused-vars": ["error", unused],
      "@typescript-eslint/unbound-method": "off", // callbacks among options
    },
  },
);
