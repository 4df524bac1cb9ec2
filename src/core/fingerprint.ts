import { checksumOf } from './checksum.ts'

export interface Failure {
  readonly handler: string
  readonly type: string
  readonly error: { readonly name?: string; readonly message: string; readonly code?: string | number }
}

/** Longer messages say nothing more about the cause, and normalising them costs time. */
const messageChars = 1000

/**
 * The cause that a failure belongs to: eight hex digits, equal for failures of one handler on one type whose errors
 * differ only in numbers, ids, times or quoted values. Any error, however strange, has one.
 */
export function fingerprintOf({ handler, type, error }: Failure): string {
  const cause = [handler, type, error.name ?? '', error.code ?? '', normalisedMessage(error.message)]
  return checksumOf(JSON.stringify(cause)).slice(0, 8)
}

/** The message with what varies between events of one cause replaced by a sign for its kind. */
export function normalisedMessage(message: string): string {
  return String(message)
    .slice(0, messageChars)
    .replace(/"[^"\n]*"|`[^`\n]*`|(?<![\p{L}\p{N}])'[^'\n]*'(?![\p{L}\p{N}])/gu, '<text>')
    .replace(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/gi, '<id>')
    .replace(/\b(?=[a-z_-]*\d)[\w-]{16,}\b/gi, '<id>')
    .replace(/\b0x[0-9a-f]+\b/gi, '<n>')
    .replace(/\d+(?:[.,:]\d+)*/g, '<n>')
    .replace(/\s+/g, ' ')
    .trim()
}
