// `npm run bench`: every benchmark of the rooms, one after the other, but for those that take very long; `npm run bench -- lanes handling`
// runs only those.
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { basename, join } from 'node:path'

/** No benchmarks: this, what another one is filled by, and what has a script of its own. */
const others = new Set(['run', 'filled-store', 'soak'])
/** Only when they are asked for. */
const long = new Set(['big-store'])
const all = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.ts'))
  .map((file) => basename(file, '.ts'))
  .filter((name) => !others.has(name))
const asked = process.argv.slice(2)
const unknown = asked.filter((name) => !all.includes(name))
if (unknown.length > 0) {
  process.stderr.write(`no benchmark ${unknown.join(', ')}; there are ${all.join(', ')}\n`)
  process.exit(2)
}
for (const name of asked.length > 0 ? asked : all.filter((name) => !long.has(name))) {
  process.stdout.write(`\n── ${name}\n`)
  const { status } = spawnSync(process.execPath, [join(import.meta.dirname, `${name}.ts`)], { stdio: 'inherit' })
  if (status !== 0) process.exitCode = 1
}
