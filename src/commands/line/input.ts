import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { EvtError, toError } from '../../core/errors.ts'

export interface InputLine {
  /** Starts at 1. */
  readonly number: number
  readonly text: string
}

/** Lines that are not blank, with their numbers; memory does not grow with the input. */
export async function* readLines(stream: Readable): AsyncGenerator<InputLine> {
  let number = 0
  const lines = createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })
  try {
    for await (const text of lines) {
      number++
      if (text.trim() !== '') yield { number, text }
    }
  } finally {
    lines.close()
  }
}

/** `-` is stdin. Throws EvtError('usage') for a file that cannot be read. */
export async function openInput(path: string, stdin: Readable): Promise<Readable> {
  if (path === '-') return stdin
  const stream = createReadStream(path)
  await new Promise<void>((resolve, reject) => {
    stream.once('open', () => resolve())
    stream.once('error', (error) => reject(new EvtError('usage', `cannot read ${path}: ${toError(error).message}`)))
  })
  return stream
}
