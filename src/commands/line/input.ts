import { fstat } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { promisify } from 'node:util'
import { EvtError, toError } from '../../core/errors.ts'

export interface InputLine {
  /** Starts at 1. */
  readonly number: number
  readonly text: string
}

/** Lines of stdin that are not blank, with their numbers; memory does not grow with it. Throws EvtError('usage'). */
export async function* readLines(stdin: Readable): AsyncGenerator<InputLine> {
  await refuseDirectory(stdin)
  let number = 0
  const lines = createInterface({ input: stdin, crlfDelay: Number.POSITIVE_INFINITY })
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
  if (path === '-') {
    await refuseDirectory(stdin)
    return { name: standardInput, bytes: readable(stdin, standardInput) }
  }
  const file = await openFile(path)
  return { name: path, bytes: readable(file.createReadStream(), path) }
}

const standardInput = 'standard input'

/** Node makes an empty stream of one. */
async function refuseDirectory(stdin: Readable & { readonly fd?: number }): Promise<void> {
  if (stdin.fd === undefined) return
  const stats = await promisify(fstat)(stdin.fd).catch(() => undefined)
  if (stats?.isDirectory()) throw unreadable(standardInput, { code: 'EISDIR' })
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
    hint: name === standardInput ? 'send it lines: from a pipe, or `< FILE`' : 'name a file, or - for standard input',
    cause: error,
  })
}
