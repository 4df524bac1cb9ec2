import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

/** A child that tells how far it is by single words, a line each, on stdout. */
export interface Running {
  readonly child: ChildProcess
  /** It has said `ready`. */
  readonly ready: Promise<void>
  /** Resolves when it has said this word; rejects with its errors when it ended before. */
  says(word: string): Promise<void>
  /** Lets a held one go on. */
  go(): void
  /** Sends the signal; for signals that end it, resolves when it is gone. */
  end(signal: NodeJS.Signals): Promise<void>
  readonly gone: boolean
}

/** Runs `test/faults/<script>` with this Node. Its stdin ends when this process does. */
export function startProcess(script: string, args: readonly string[]): Running {
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, script), ...args],
    { stdio: 'pipe' },
  )
  let errors = ''
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => {
    errors = (errors + chunk.toString()).slice(-4000)
  })
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString()
  })
  // A killed one takes nothing any more.
  child.stdin.on('error', () => {})
  const exited = once(child, 'exit')
  const isGone = () => child.exitCode !== null || child.signalCode !== null
  const says = (word: string) =>
    new Promise<void>((resolve, reject) => {
      const look = () => said.split('\n').includes(word) && resolve()
      child.stdout.on('data', look)
      look()
      const fail = () => reject(new Error(`${script} ended before it said ${word}: ${errors}`))
      if (isGone()) fail()
      else void exited.then(fail)
    })
  const ready = says('ready')
  ready.catch(() => {})
  return {
    child,
    ready,
    says,
    go: () => void child.stdin.write('go\n'),
    get gone() {
      return isGone()
    },
    async end(signal) {
      if (isGone()) return
      child.kill(signal)
      if (signal !== 'SIGSTOP' && signal !== 'SIGCONT') await exited
    },
  }
}
