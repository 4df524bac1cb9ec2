import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { DialectName } from '../../src/core/codec.ts'

/** One example of the five documents: `verbatim` as printed there, `completed` where a document shows code or a part. */
export interface Example {
  readonly file: string
  readonly document: string
  readonly line: number
  readonly form: 'verbatim' | 'completed'
  readonly dialect: DialectName
  /** The example that it is another form of: read the same, and written as that one. */
  readonly reads?: string
  readonly event: Readonly<Record<string, unknown>>
}

const folder = resolve(import.meta.dirname, '../../fixtures/dialects')

export const examples: readonly Example[] = readdirSync(folder)
  .sort()
  .map((file) => ({ file, ...(JSON.parse(readFileSync(join(folder, file), 'utf8')) as Omit<Example, 'file'>) }))
