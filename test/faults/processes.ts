import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

/** A child that says `ready` on stdout. */
export interface Running {
  readonly child: ChildProcess
  readonly ready: Promise<void>
  /** Sends the signal; for signals that end it, resolves when it is gone. */
  end(signal: NodeJS.Signals): Promise<void>
  readonly gone: boolean
}

/** Runs `test/faults/<script>` with this Node. */
export function startProcess(script: string, args: readonly string[]): Running {
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, script), ...args],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  let errors = ''
  child.stderr.on('data', (chunk: Buffer) => {
    errors = (errors + chunk.toString()).slice(-4000)
  })
  const exited = once(child, 'exit')
  const ready = new Promise<void>((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => chunk.toString().includes('ready') && resolve())
    void exited.then(() => reject(new Error(`${script} ended before it was ready: ${errors}`)))
  })
  ready.catch(() => {})
  return {
    child,
    ready,
    get gone() {
      return child.exitCode !== null || child.signalCode !== null
    },
    async end(signal) {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill(signal)
      if (signal !== 'SIGSTOP' && signal !== 'SIGCONT') await exited
    },
  }
}
