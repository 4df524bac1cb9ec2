// Room output: how commands speak. Data on stdout, everything else on stderr; text from events is untrusted. May not
// know a transport, the store or the process.
import type { EvtError } from '../core/errors.ts'
import { formatJson } from '../core/json-text.ts'
import { visible } from '../core/visible.ts'
import { type Envelope, envelopeOf, type ResultStatus } from './envelope.ts'
import type { Paint } from './paint.ts'
import { asDiagnostic, problemOf, renderProblem } from './problem.ts'
import type { Sink } from './sink.ts'

export const outputFormats = ['text', 'json', 'ndjson', 'none'] as const
export type OutputFormat = (typeof outputFormats)[number]

export interface Diagnostic {
  readonly level: 'notice' | 'warning' | 'error'
  readonly message: string
  readonly code?: string
  readonly hint?: string
}

export interface Result {
  readonly data: unknown
  readonly status?: ResultStatus
  readonly meta?: Readonly<Record<string, unknown>>
  /** The same for a person; not called with `--json`. */
  render(): string
}

export interface Output {
  readonly format: OutputFormat
  /** Colour of stdout and of stderr: they may be different things. */
  readonly paint: Paint
  readonly paintNotice: Paint
  readonly columns: number
  readonly isTTY: boolean
  readonly verbosity: 'quiet' | 'normal' | 'verbose'
  /** Data as it is, line ends included: the caller has made untrusted parts visible. A promise while the reader is slow. */
  write(text: string): void | Promise<void>
  /** The command's one result: an envelope with `--json`, one object with `-o ndjson`, else what `render` gives. */
  result(result: Result): void
  /** One line for the operator on stderr, and a diagnostic of the envelope. Untrusted text in it is made visible. */
  notice(message: string): void
  warn(message: string, hint?: string): void
  /** Only with --verbose. */
  detail(message: string): void
  /** As an error that ends the command, on stderr and in the envelope, where the command goes on to its result. */
  problem(error: EvtError): void
  /** Makes a failure of the command the result, when the result is a document. */
  failure(diagnostic: Diagnostic): void
  flush(): Promise<void>
}

export interface OutputOptions {
  readonly command: string
  readonly format: OutputFormat
  readonly verbosity: Output['verbosity']
  readonly stdout: Sink
  readonly stderr: Sink
  readonly paint: Paint
  readonly paintNotice: Paint
}

export function createOutput(options: OutputOptions): Output {
  const { command, format, stdout, stderr, verbosity, paintNotice } = options
  const diagnostics: Diagnostic[] = []
  let answered = false

  const answer = (envelope: Envelope) => {
    answered = true
    void stdout.write(`${formatJson(envelope, stdout.isTTY ? 2 : undefined)}\n`)
  }
  const say = (diagnostic: Diagnostic, style: Parameters<Paint>[0]) => {
    diagnostics.push(diagnostic)
    if (verbosity === 'quiet' || stdout.gone) return
    const hint = diagnostic.hint ? `${paintNotice('cyan', 'hint:')} ${visible(diagnostic.hint)}\n` : ''
    void stderr.write(`${paintNotice(style, visible(diagnostic.message))}\n${hint}`)
  }

  return {
    format,
    paint: options.paint,
    paintNotice,
    verbosity,
    isTTY: stdout.isTTY,
    get columns() {
      return stdout.columns
    },
    write: (text) => (format === 'none' ? undefined : stdout.write(text)),
    result({ data, status = 'pass', meta = {}, render }) {
      if (format === 'none') return
      if (format === 'json') answer(envelopeOf({ command, status, data, diagnostics, meta }))
      else if (format === 'ndjson') void stdout.write(`${formatJson(data)}\n`)
      else void stdout.write(ended(render()))
    },
    notice: (message) => say({ level: 'notice', message }, 'dim'),
    warn: (message, hint) => say({ level: 'warning', message, ...(hint ? { hint } : {}) }, 'yellow'),
    detail(message) {
      if (verbosity === 'verbose') void stderr.write(`${paintNotice('dim', visible(message))}\n`)
    },
    problem(error) {
      diagnostics.push(asDiagnostic(problemOf(error)))
      void stderr.write(renderProblem(error, { paint: paintNotice, debug: false }))
    },
    failure(diagnostic) {
      if (format !== 'json' || answered) return
      answer(envelopeOf({ command, status: 'error', data: null, diagnostics: [...diagnostics, diagnostic], meta: {} }))
    },
    async flush() {
      await Promise.all([stdout.flush(), stderr.flush()])
    },
  }
}

const ended = (text: string) => (text === '' || text.endsWith('\n') ? text : `${text}\n`)
