// The project that a newcomer begins with builds and passes its own tests.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const sdk = join(here, "../../sdk/assemblyscript");

test("the template builds and passes its tests", async (t) => {
  const project = await mkdtemp(join(tmpdir(), "quorate-rule-"));
  t.after(() => rm(project, { recursive: true }));
  await cp(join(sdk, "template"), project, { recursive: true });
  const { files } = JSON.parse(await readFile(join(sdk, "package.json"), "utf8"));
  for (const file of ["package.json", ...files]) await cp(join(sdk, file), join(project, "sdk", file), { recursive: true });
  // What `npm install` would put there.
  const modules = join(project, "node_modules");
  await rm(modules, { recursive: true, force: true });
  await mkdir(modules);
  await symlink(join(here, "../node_modules/assemblyscript"), join(modules, "assemblyscript"));
  await symlink("../sdk", join(modules, "quorate-rule"));

  const env = { ...process.env };
  delete env.NODE_TEST_CONTEXT;
  const run = (...args) => execFileSync(process.execPath, args, { cwd: project, env, encoding: "utf8" });
  assert.match(run("sdk/build.mjs"), /^build\/my-rule\.wasm: \d+ bytes\n$/);
  assert.match(run("--test"), /^# fail 0$/m);
});

test("the template pins what the rules are built with, and names no registry", async () => {
  const lock = async (folder) => JSON.parse(await readFile(join(folder, "package-lock.json"), "utf8"));
  const ours = await lock(join(here, ".."));
  const theirs = await lock(join(sdk, "template"));
  for (const name of ["assemblyscript", "binaryen", "long"]) {
    const path = `node_modules/${name}`;
    assert.ok(theirs.packages[path].integrity);
    assert.deepEqual(theirs.packages[path], ours.packages[path]);
  }
  for (const { packages } of [ours, theirs]) {
    for (const { resolved } of Object.values(packages)) assert.doesNotMatch(resolved ?? "", /:\/\//);
  }
});
