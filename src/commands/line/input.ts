import { type FileHandle, open } from 'node:fs/promises'
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

export interface OpenInput {
  /** `standard input`, or the path. */
  readonly name: string
  /** Throws EvtError('usage') when reading fails. */
  readonly bytes: AsyncIterable<Uint8Array>
}

/** `-` is stdin. Throws EvtError('usage') for what is no readable file. */
export async function openInput(path: string, stdin: Readable): Promise<OpenInput> {
  if (path === '-') return { name: 'standard input', bytes: readable(stdin, 'standard input') }
  const file = await openFile(path)
  return { name: path, bytes: readable(file.createReadStream(), path) }
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    const file = await open(path)
    if (!(await file.stat()).isDirectory()) return file
    await file.close()
  } catch (error) {
    throw unreadable(path, error)
  }
  throw unreadable(path, { code: 'EISDIR' })
}

async function* readable(stream: Readable, name: string): AsyncGenerator<Uint8Array> {
  try {
    yield* stream
  } catch (error) {
    throw unreadable(name, error)
  }
}

const plainly: Readonly<Record<string, string>> = {
  EISDIR: 'it is a directory',
  ENOENT: 'there is no such file',
  EACCES: 'this user may not read it',
}

function unreadable(name: string, error: unknown): EvtError {
  const { code = '' } = error as NodeJS.ErrnoException
  return new EvtError('usage', `cannot read ${name}: ${plainly[code] ?? toError(error).message}`, {
    hint: 'name a file, or - for standard input',
    cause: error,
  })
}
