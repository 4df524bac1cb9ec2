import type { Diagnostic } from './output.ts'

/** `pass`: done. `fail`: it ran, and what it checked failed or is incomplete. `error`: it could not run. */
export type ResultStatus = 'pass' | 'fail' | 'error'

/** The one shape of every `--json` document; its JSON Schema is fixtures/schemas/envelope.schema.json. */
export interface Envelope {
  /** `evt/<command>/<version of data's shape>`. */
  readonly schema: string
  readonly command: string
  readonly status: ResultStatus
  readonly data: unknown
  readonly diagnostics: readonly Diagnostic[]
  readonly meta: Readonly<Record<string, unknown>>
}

export function envelopeOf(parts: Omit<Envelope, 'schema'>): Envelope {
  const { command, status, data, diagnostics, meta } = parts
  return { schema: `evt/${command.replaceAll(' ', '.')}/1`, command, status, data, diagnostics: [...diagnostics], meta }
}
