import { readFile, stat } from 'node:fs/promises'
import { createSecureContext } from 'node:tls'
import { EvtError, toError } from '../core/errors.ts'
import type { HttpOptions } from '../core/http-options.ts'

type Files = NonNullable<HttpOptions['tls']>

export interface Certificate {
  readonly cert: Buffer
  readonly key: Buffer
}

/** Throws `config` naming the file that is missing, unreadable or does not belong to the other. */
export async function readCertificate({ cert, key }: Files): Promise<Certificate> {
  const read = async (path: string) => {
    try {
      return await readFile(path)
    } catch (error) {
      throw new EvtError('config', `cannot serve HTTP over TLS: ${toError(error).message}`, {
        hint: 'http.tls names two PEM files, cert and key, that this process may read',
      })
    }
  }
  const found = { cert: await read(cert), key: await read(key) }
  try {
    createSecureContext(found)
    return found
  } catch (error) {
    throw new EvtError('config', `cannot serve HTTP over TLS with ${cert} and ${key}: ${toError(error).message}`, {
      hint: 'both are PEM; the key must be the one that the certificate was made for',
    })
  }
}

/** Looks for other files every `everyMs` and hands them out; those that cannot be used are told, and the last ones stay. */
export function watchCertificate(
  files: Files,
  use: (certificate: Certificate) => void,
  { onError, everyMs = 2_000 }: { readonly onError: (error: unknown) => void; readonly everyMs?: number },
): () => void {
  let known: string | undefined
  let looking = Promise.resolve()
  const look = async (): Promise<void> => {
    const found = (await Promise.all([stat(files.cert), stat(files.key)])).map(
      ({ mtimeMs, ino }) => `${mtimeMs} ${ino}`,
    )
    const now = found.join()
    if (known === now) return
    const isFirst = known === undefined
    if (!isFirst) use(await readCertificate(files))
    known = now
  }
  const next = () => {
    looking = looking.then(look).catch(onError)
  }
  next()
  const timer = setInterval(next, everyMs)
  timer.unref()
  return () => clearInterval(timer)
}
