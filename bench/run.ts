// `npm run bench`: every benchmark of the rooms, one after the other; `npm run bench -- lanes handling` runs only those.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

const all = [
  'generate',
  'capture-cost',
  'sequencer',
  'lanes',
  'handling',
  'replay',
  'redis',
  'kafka',
  'rabbitmq',
  'outside',
]
const asked = process.argv.slice(2)
const unknown = asked.filter((name) => !all.includes(name))
if (unknown.length > 0) {
  process.stderr.write(`no benchmark ${unknown.join(', ')}; there are ${all.join(', ')}\n`)
  process.exit(2)
}
for (const name of asked.length > 0 ? asked : all) {
  process.stdout.write(`\n── ${name}\n`)
  const { status } = spawnSync(process.execPath, [join(import.meta.dirname, `${name}.ts`)], { stdio: 'inherit' })
  if (status !== 0) process.exitCode = 1
}
