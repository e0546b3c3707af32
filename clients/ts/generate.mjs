// Generates the stubs of the contracts, and a module that has those of clients by their package.

import { execFileSync } from "node:child_process";
import { readdirSync, rmSync, writeFileSync } from "node:fs";

const OUT = "src/proto/gen";
// Clients of the gateway use no others.
const NOT_FOR_CLIENTS = ["event", "session"];

rmSync(OUT, { recursive: true, force: true });
execFileSync("buf", ["generate"], { stdio: "inherit" });

const namespaces = [];
const files = [];
for (const name of readdirSync(`${OUT}/plaudit`).filter((each) => !NOT_FOR_CLIENTS.includes(each)).sort()) {
  const folder = `plaudit/${name}/v1`;
  const modules = readdirSync(`${OUT}/${folder}`).sort();
  writeFileSync(`${OUT}/${folder}/index.ts`, modules.map((module) => `export * from "./${module}";\n`).join(""));
  namespaces.push(`export * as ${name} from "./${folder}/index.ts";\n`);
  for (const module of modules) files.push([`file_${folder}/${module}`.replace("_pb.ts", "").replaceAll("/", "_"), `./${folder}/${module}`]);
}
const imports = files.map(([file, path]) => `import { ${file} } from "${path}";\n`);
const list = `\n/** All files of the contracts that clients use. */\nexport const files = [\n${files.map(([file]) => `  ${file},\n`).join("")}];\n`;
writeFileSync(`${OUT}/index.ts`, [...imports, "\n", ...namespaces, list].join(""));
