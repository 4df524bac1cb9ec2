// Room ui: the dashboard. State and view are pure; this file and `app.tsx` are the only ones with a terminal.
import { render } from 'ink'
import { App } from './app.tsx'
import { createGate, type FeedAction } from './gate.ts'
import type { Action } from './state/update.ts'

/** At most this many redraws a second. */
const framesPerSecond = 15
/** Keys are drawn at once; what the feed says, as often as a person can read it. */
const feedEveryMs = 200

export interface DashboardOptions {
  readonly stdin: NodeJS.ReadStream
  readonly stdout: NodeJS.WriteStream
  readonly stderr: NodeJS.WriteStream
  readonly color: boolean
  /** Stops the process as a shell's Ctrl-Z does; resolves when it goes on. */
  readonly toShell: () => Promise<void>
  /** Ends the dashboard from outside. */
  readonly signal: AbortSignal
  /** Starts to report what happens; the returned function stops it. */
  readonly feed: (push: (action: FeedAction) => void) => () => void
}

/** Draws on the alternate screen until the operator quits or `signal` aborts; the terminal is restored in any case. */
export async function openDashboard(options: DashboardOptions): Promise<void> {
  const { stdin, stdout, stderr, signal } = options
  const connect = (emit: (action: Action) => void) => {
    const gate = createGate({ emit, busy: () => stdout.writableLength > 0, everyMs: feedEveryMs })
    const stop = options.feed(gate.push)
    return () => {
      gate.close()
      stop()
    }
  }
  const app = render(<App connect={connect} toShell={options.toShell} color={options.color} />, {
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
