// Room ui: the dashboard. State and view are pure; this file and `app.tsx` are the only ones with a terminal.
import { render } from 'ink'
import { App } from './app.tsx'
import { createGate, type FeedAction } from './gate.ts'
import type { Action } from './state/update.ts'

/** At most this many redraws a second. */
const framesPerSecond = 15

export interface DashboardOptions {
  readonly stdin: NodeJS.ReadStream
  readonly stdout: NodeJS.WriteStream
  readonly stderr: NodeJS.WriteStream
  readonly color: boolean
  /** Ends the dashboard from outside. */
  readonly signal: AbortSignal
  /** Starts to report what happens; the returned function stops it. */
  readonly feed: (push: (action: FeedAction) => void) => () => void
}

/** Draws on the alternate screen until the operator quits or `signal` aborts; the terminal is restored in any case. */
export async function openDashboard(options: DashboardOptions): Promise<void> {
  const { stdin, stdout, stderr, signal } = options
  const connect = (emit: (action: Action) => void) => {
    const gate = createGate({ emit, busy: () => stdout.writableLength > 0, everyMs: 1000 / framesPerSecond })
    const stop = options.feed(gate.push)
    return () => {
      gate.close()
      stop()
    }
  }
  const app = render(<App connect={connect} color={options.color} />, {
    stdin,
    stdout,
    stderr,
    alternateScreen: true,
    incrementalRendering: true,
    maxFps: framesPerSecond,
    patchConsole: false,
    exitOnCtrlC: false,
    interactive: true,
  })
  const end = () => app.unmount()
  signal.addEventListener('abort', end, { once: true })
  if (signal.aborted) end()
  try {
    await app.waitUntilExit()
  } finally {
    signal.removeEventListener('abort', end)
  }
}
