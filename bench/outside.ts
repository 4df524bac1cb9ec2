// What an operator's machine sees of the built command: start-up against an empty Node program, `gen` and `tail` into a
// pipe, each in a process of its own. Medians; run it on a quiet machine after `npm run build`.
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { migrateUp } from '../src/store/migrate.ts'
import { startPrivateServer } from '../test/setup/private-server.ts'

const evt = resolve(import.meta.dirname, '../bin/evt.js')
const say = (line: string) => process.stdout.write(`${line}\n`)

function seconds(command: readonly string[], env: Record<string, string> = {}): number {
  const started = performance.now()
  const { status, stderr } = spawnSync(process.execPath, command, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  if (status !== 0) throw new Error(`${command.join(' ')}: ${stderr}`)
  return (performance.now() - started) / 1000
}

function median(runs: number, once: () => number): number {
  const times = Array.from({ length: runs }, once).sort((a, b) => a - b)
  return times[Math.floor(runs / 2)] ?? 0
}

/** Peak resident memory of a command whose output goes into a pipe, MiB, and how long it took. */
function piped(line: string, env: Record<string, string>): { seconds: number; peakMiB: number } {
  const started = performance.now()
  const script = `'${process.execPath}' '${evt}' ${line} 2>/dev/null & p=$!; peak=0; while kill -0 $p 2>/dev/null; do
    r=$(awk '/VmHWM/{print $2}' /proc/$p/status 2>/dev/null); [ "\${r:-0}" -gt $peak ] && peak=$r; sleep 0.05; done; echo $peak >&2`
  const { stderr } = spawnSync('bash', ['-c', `{ ${script}; } | cat >/dev/null`], {
    env: { ...process.env, ...env },
    encoding: 'utf8',
  })
  return { seconds: (performance.now() - started) / 1000, peakMiB: Number(stderr.trim()) / 1024 }
}

const directory = mkdtempSync(join(tmpdir(), 'evt-bench-'))
const empty = join(directory, 'empty.js')
writeFileSync(empty, '')
const node = median(15, () => seconds([empty]))
const help = median(15, () => seconds([evt, '--help']))
say(
  `evt --help          ${(help * 1000).toFixed(0)} ms, ${(help / node).toFixed(2)}× an empty Node program (${(node * 1000).toFixed(0)} ms)`,
)

const million = ['gen', 'user.created', '--count', '1m', '-o', 'none', '--dry-run']
say(`gen --dry-run       ${(1 / median(3, () => seconds([evt, ...million]))).toFixed(2)} M events/s, start included`)

const server = await startPrivateServer({ version: 18 })
try {
  await migrateUp(server.url)
  const env = { EVT_STORE: server.url }
  const backlog = 200_000
  execFileSync(process.execPath, [evt, 'gen', 'user.created', '--count', String(backlog), '-q'], {
    env: { ...process.env, ...env },
  })
  for (const format of ['text', 'ndjson']) {
    const runs = Array.from({ length: 3 }, () => piped(`tail --since start --no-follow -o ${format}`, env)).sort(
      (a, b) => a.seconds - b.seconds,
    )
    const middle = runs[1] ?? { seconds: 1, peakMiB: 0 }
    say(
      `tail -o ${format.padEnd(11)} ${(backlog / middle.seconds / 1000).toFixed(0)} k events/s of a backlog of 200 k, at most ${middle.peakMiB.toFixed(0)} MiB`,
    )
  }
} finally {
  await server.stop()
  rmSync(directory, { recursive: true })
}
