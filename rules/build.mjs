// Builds every rule of this folder: NAME/assembly/index.ts into built/NAME.wasm, with the list built/SHA
// (name, BLAKE2b-256, bytes).
//
//     node build.mjs [NAME...]      builds, all rules unless some are named
//     node build.mjs --check        builds without writing, and fails where built/ says something else

import { existsSync } from "node:fs";
import { readFile, readdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { compile } from "quorate-rule/build";
import { blake2bHex } from "quorate-rule/blake2b";

const here = dirname(fileURLToPath(import.meta.url));
const built = join(here, "built");

async function names() {
  const found = (await readdir(here)).filter((name) => existsSync(join(here, name, "assembly/index.ts")));
  return found.sort();
}

const file = (name) => join(built, `${name}.wasm`);

async function list(modules) {
  const lines = [...modules].map(([name, bytes]) => `${name} ${blake2bHex(bytes)} ${bytes.length}\n`);
  return lines.join("");
}

async function build(only) {
  const modules = new Map();
  for (const name of await names()) {
    if (only.length === 0 || only.includes(name)) {
      const module = await compile(join(here, name));
      await writeFile(file(name), module);
      console.log(`built/${name}.wasm: ${module.length} bytes`);
    }
    if (existsSync(file(name))) modules.set(name, await readFile(file(name)));
  }
  await writeFile(join(built, "SHA"), await list(modules));
}

async function check() {
  const modules = new Map();
  const stale = [];
  for (const name of await names()) {
    const module = await compile(join(here, name));
    modules.set(name, module);
    const kept = existsSync(file(name)) ? await readFile(file(name)) : Buffer.alloc(0);
    if (Buffer.compare(kept, module) !== 0) stale.push(`${name}.wasm`);
  }
  if ((await readFile(join(built, "SHA"), "utf8")) !== (await list(modules))) stale.push("SHA");
  if (stale.length > 0) {
    throw new Error(`built/ is not what the sources give: ${stale.join(", ")}. Run \`npm run build\` and commit it.`);
  }
  console.log(`${modules.size} rules: built/ is what the sources give`);
}

const args = process.argv.slice(2);
await (args.includes("--check") ? check() : build(args)).catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
