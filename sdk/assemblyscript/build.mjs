// Builds a rule: assembly/index.ts of a project into one WebAssembly module.
//
//     node sdk/build.mjs            in a project: writes build/NAME.wasm, NAME as in rule.json
//
// The compiler is the one that the project has installed (assemblyscript in its package.json).

import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const sdk = dirname(fileURLToPath(import.meta.url));

/**
 * Options of the compiler. A check runs on a fresh instance, so nothing is ever freed; the gate refuses a start
 * section, so the runtime is the SDK's own, which needs none.
 */
const OPTIONS = ["--runtime", "stub", "-O3", "--shrinkLevel", "1", "--converge"];

/** Compiles `project`/assembly/index.ts and returns the module's bytes. Extra options go to the compiler. */
export async function compile(project, extra = []) {
  const asc = await compiler(project);
  for (const name of ["rt/stub"]) {
    asc.libraryFiles[name] = await readFile(join(sdk, "runtime", `${name}.ts`), "utf8");
  }
  let module;
  const stderr = asc.createMemoryStream();
  const { error } = await asc.main(
    ["assembly/index.ts", "--baseDir", project, "--outFile", "rule.wasm", ...OPTIONS, ...extra],
    {
      stderr,
      writeFile: (name, contents) => {
        if (name === "rule.wasm") module = contents;
      },
    },
  );
  if (error) throw new Error(`${error.message}\n${stderr}`);
  const problem = unfit(module);
  if (problem) throw new Error(problem);
  return module;
}

/** What the gate would refuse and the compiler lets through, in the words of AssemblyScript; `undefined` if nothing. */
export function unfit(module) {
  if (sections(module).has(START)) {
    return (
      "the module has a start section, which the gate refuses: a variable outside of functions is initialized with " +
      "code (`new`, a call, an array). Make it a constant, or fill it in inside rule_check"
    );
  }
  return undefined;
}

const START = 8;

function sections(module) {
  const found = new Set();
  let at = 8;
  while (at < module.length) {
    found.add(module[at++]);
    let size = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = module[at++];
      size += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    at += size;
  }
  return found;
}

async function compiler(project) {
  for (let folder = resolve(project); ; folder = dirname(folder)) {
    try {
      return await import(pathToFileURL(join(folder, "node_modules/assemblyscript/dist/asc.js")));
    } catch (error) {
      if (error.code !== "ERR_MODULE_NOT_FOUND") throw error;
      if (folder === dirname(folder)) throw new Error("expected assemblyscript in node_modules: run `npm install`");
    }
  }
}

async function main() {
  const project = process.cwd();
  const { name } = JSON.parse(await readFile(join(project, "rule.json"), "utf8"));
  const module = await compile(project);
  const out = join("build", `${name}.wasm`);
  await mkdir("build", { recursive: true });
  await writeFile(out, module);
  console.log(`${out}: ${module.length} bytes`);
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  await main().catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
