// `npm run soak [-- minutes]`: a bridge with the reference service, first idle for a minute, then at 1,000 events/s:
// share of one core and resident memory every ten seconds. Run it on a quiet machine after `npm run build`.
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { migrateUp } from '../src/store/migrate.ts'
import { startPrivateServer } from '../test/setup/private-server.ts'

const minutes = Number(process.argv[2] ?? 5)
const evt = resolve(import.meta.dirname, '../bin/evt.js')
const say = (line: string) => process.stdout.write(`${line}\n`)

interface Look {
  readonly cpuSeconds: number
  readonly residentMiB: number
}

function look(pid: number): Look {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  const resident = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return { cpuSeconds: (Number(fields[11]) + Number(fields[12])) / 100, residentMiB: Number(resident) / 1024 }
}

async function watch(what: string, pid: number, seconds: number): Promise<void> {
  let before = look(pid)
  for (let passed = 10; passed <= seconds; passed += 10) {
    await wait(10_000)
    const now = look(pid)
    say(
      `${what} ${String(passed).padStart(4)} s  ${((now.cpuSeconds - before.cpuSeconds) * 10).toFixed(1).padStart(5)} % of a core  ${now.residentMiB.toFixed(0).padStart(4)} MiB`,
    )
    before = now
  }
}

const server = await startPrivateServer({ version: 18, durable: true, settings: ['max_prepared_transactions=0'] })
const env = { ...process.env, EVT_STORE: server.url }
const idleNode = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
await migrateUp(server.url)
const bridge = spawn(process.execPath, [evt, 'up', '-q'], { env, stdio: 'ignore' })
try {
  await wait(15_000)
  say(`an idle Node process: ${look(idleNode.pid ?? 0).residentMiB.toFixed(0)} MiB`)
  await watch('idle     ', bridge.pid ?? 0, 60)
  const load = spawn(
    process.execPath,
    [evt, 'gen', 'user.*', '--rate', '1000', '--duration', `${minutes}m`, '-q', '-y'],
    { env, stdio: 'ignore' },
  )
  await watch('1,000/s  ', bridge.pid ?? 0, minutes * 60)
  load.kill('SIGTERM')
} finally {
  bridge.kill('SIGTERM')
  idleNode.kill('SIGTERM')
  await wait(3000)
  await server.stop()
}
