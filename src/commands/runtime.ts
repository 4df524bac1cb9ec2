import type { Config } from '../config/config.ts'
import type { Output } from '../output/output.ts'
import type { Prompter } from '../output/prompt.ts'

/** Everything of the world that a command may touch, handed in by main. */
export interface Runtime {
  readonly stdin: NodeJS.ReadStream
  /** For the dashboard alone, which owns the terminal while it runs; everything else speaks through `output`. */
  readonly terminal: { readonly stdout: NodeJS.WriteStream; readonly stderr: NodeJS.WriteStream }
  readonly output: Output
  readonly prompter: Prompter
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  readonly version: string
  readonly pid: number
  /** Wall clock, ms since the epoch. */
  now(): number
  /** Aborted by the first SIGINT or SIGTERM, and when the reader of stdout is gone. */
  readonly signal: AbortSignal
  readonly config: Config
}
