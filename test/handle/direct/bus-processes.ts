import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, fstatSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from '../../setup/on-test-finished.ts'
import type { ServerName } from '../../setup/server-names.ts'

const program = join(import.meta.dirname, 'bus-process.ts')

/** The servers of a bus, and the environment that chooses each. */
export const busServers: readonly { readonly name: ServerName; env(url: string): Record<string, string> }[] = [
  { name: 'redis', env: (url) => ({ EVENT_BUS_TYPE: 'redis', REDIS_EVENT_URL: url }) },
  // Who was killed is a member for a session: six seconds by default.
  { name: 'kafka', env: (url) => ({ EVENT_BUS_TYPE: 'kafka', KAFKA_BOOTSTRAP_SERVERS: `${url}?session=2s` }) },
  { name: 'rabbitmq', env: (url) => ({ EVENT_BUS_TYPE: 'rabbitmq', RABBITMQ_URL: url }) },
]

export interface Seen {
  readonly subject: string
  readonly n: number
  readonly pid: number
  readonly attempt: number
}

/** Processes of one group, and what their handlers saw, in the order in which they saw it. Killed when the test ends. */
export function busProcesses(environment: Readonly<Record<string, string>>, topic: string) {
  const { NODE_COMPILE_CACHE } = process.env
  const directory = mkdtempSync(join(tmpdir(), 'evt-bus-'))
  const file = join(directory, 'seen')
  writeFileSync(file, '')
  const read = createReader(file)
  const processes: ChildProcess[] = []
  onTestFinished(() => {
    for (const child of processes) child.kill('SIGKILL')
    read.close()
    rmSync(directory, { recursive: true, force: true })
  })
  return {
    /** Resolves when its handler is subscribed, or when the process has ended before that. */
    async start(): Promise<ChildProcess> {
      const child = spawn(process.execPath, [program], {
        env: { PATH: '', NODE_COMPILE_CACHE, ...environment, BUS_TOPIC: topic, BUS_FILE: file },
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      processes.push(child)
      await new Promise<void>((resolve) => {
        child.stdout?.once('data', () => resolve())
        child.once('exit', () => resolve())
      })
      return child
    },
    /** SIGKILL for the one that has run for longest. */
    killOldest(): void {
      processes.shift()?.kill('SIGKILL')
    },
    /** In their order; each call reads only what came since the last one, because tests ask again and again. */
    seen: (): readonly Seen[] => read.all(),
    /** Of how many different events. */
    distinct: (): number => read.distinct(),
  }
}

function createReader(file: string) {
  const descriptor = openSync(file, 'r')
  const all: Seen[] = []
  const known = new Set<string>()
  let at = 0
  let rest = ''
  const readOn = () => {
    const more = Buffer.alloc(fstatSync(descriptor).size - at)
    at += readSync(descriptor, more, 0, more.length, at)
    const lines = (rest + more.toString()).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const [subject = '', n, pid, attempt] = line.split(' ')
      all.push({ subject, n: Number(n), pid: Number(pid), attempt: Number(attempt) })
      known.add(`${subject} ${n}`)
    }
  }
  return {
    all() {
      readOn()
      return all
    },
    distinct() {
      readOn()
      return known.size
    },
    close: () => closeSync(descriptor),
  }
}

/** Where a subject's numbers do not count up by one, whatever came again. */
export function disorderIn(seen: readonly Seen[]): string[] {
  const latest = new Map<string, number>()
  const known = new Set<string>()
  const disorder: string[] = []
  for (const { subject, n } of seen) {
    if (known.has(`${subject} ${n}`)) continue
    known.add(`${subject} ${n}`)
    if (n !== (latest.get(subject) ?? 0) + 1) disorder.push(`${subject}: ${n} after ${latest.get(subject)}`)
    latest.set(subject, n)
  }
  return disorder
}
