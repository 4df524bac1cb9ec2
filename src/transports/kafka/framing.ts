import type { Socket } from 'node:net'
import { EvtError } from '../../core/errors.ts'
import { createReader, createWriter } from './bytes.ts'
import { closedByServer, lost, noKafka } from './connect-errors.ts'
import type { Call } from './protocol.ts'

const callTimeoutMs = 6_000
/** No answer of ours is as big: it is another protocol. */
const maxFrameBytes = 512 * 1024 * 1024

interface Waiting {
  readonly name: string
  resolve(payload: Buffer): void
  reject(error: Error): void
  readonly flexible: boolean
}

export interface Framed {
  readonly connected: Promise<void>
  readonly isOpen: boolean
  call<T>(call: Call<T>, timeoutMs?: number): Promise<T>
  /** From now on, a lost connection is just that. */
  established(): void
  fail(error: Error): void
}

/** int32 length, then for a request: int16 key, int16 version, int32 correlation, string client; for an answer: int32 correlation. */
export function frame(socket: Socket, name: string, clientId: string): Framed {
  const waiting = new Map<number, Waiting>()
  const { promise: connected, resolve, reject } = Promise.withResolvers<void>()
  connected.catch(() => {})
  let lastCorrelation = 0
  let failed: Error | undefined
  let isEstablished = false
  let chunks: Buffer[] = []
  let buffered = 0
  let needed = 4

  function fail(error: Error): void {
    if (failed !== undefined) return
    failed = error
    socket.destroy()
    reject(error)
    for (const call of waiting.values()) call.reject(error)
    waiting.clear()
    chunks = []
  }

  function onData(chunk: Buffer): void {
    chunks.push(chunk)
    buffered += chunk.length
    while (buffered >= needed && failed === undefined) {
      const all = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)
      const length = all.readInt32BE(0)
      if (length < 4 || length > maxFrameBytes) {
        fail(noKafka(name, all))
        return
      }
      if (buffered < 4 + length) {
        chunks = [all]
        needed = 4 + length
        return
      }
      const rest = all.subarray(4 + length)
      chunks = rest.length > 0 ? [rest] : []
      buffered = rest.length
      needed = 4
      onAnswer(all.subarray(4, 4 + length))
    }
  }

  function onAnswer(answer: Buffer): void {
    const reader = createReader(answer)
    const correlation = reader.int32()
    const call = waiting.get(correlation)
    if (call === undefined) {
      if (!isEstablished) fail(noKafka(name, answer))
      return
    }
    waiting.delete(correlation)
    if (call.flexible) reader.tags()
    call.resolve(answer.subarray(reader.at))
  }

  socket.once(socket.listenerCount('secureConnect') >= 0 && 'encrypted' in socket ? 'secureConnect' : 'connect', () =>
    resolve(),
  )
  socket.on('data', onData)
  socket.on('error', (error) => fail(lost(name, error, 'encrypted' in socket, isEstablished)))
  socket.on('close', () => fail(closedByServer(name, isEstablished, 'encrypted' in socket)))

  async function call<T>(given: Call<T>, timeoutMs = callTimeoutMs): Promise<T> {
    const body = await given.encode()
    if (failed !== undefined) throw failed
    lastCorrelation = (lastCorrelation + 1) & 0x7fffffff
    const correlation = lastCorrelation
    const answer = new Promise<Buffer>((resolve, reject) => {
      waiting.set(correlation, {
        name: given.name,
        resolve,
        reject,
        flexible: given.flexible === true && given.plainAnswer !== true,
      })
    })
    const timer = setTimeout(
      () => fail(new EvtError('timeout', `cannot call ${given.name} of ${name}: no answer within ${timeoutMs} ms`)),
      timeoutMs,
    )
    try {
      write(given, correlation, body)
      return await given.decode(await answer)
    } finally {
      clearTimeout(timer)
    }
  }

  function write({ apiKey, apiVersion, flexible }: Call<unknown>, correlation: number, body: Uint8Array): void {
    const header = createWriter(64)
    header.int32(0)
    header.int16(apiKey)
    header.int16(apiVersion)
    header.int32(correlation)
    header.string(clientId)
    if (flexible) header.uvarint(0)
    header.setInt32(0, header.length - 4 + body.length)
    socket.cork()
    socket.write(header.bytes)
    socket.write(body)
    socket.uncork()
  }

  return {
    connected,
    get isOpen() {
      return failed === undefined
    },
    call,
    established() {
      isEstablished = true
    },
    fail,
  }
}
