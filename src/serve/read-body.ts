import type { IncomingMessage } from 'node:http'
import { formatSize } from '../core/quantity.ts'
import { HttpProblem } from './problem.ts'

export interface BodyReader {
  /** The whole body. Throws HttpProblem (413, 503) as soon as it is too long; the rest is not kept. */
  read(request: IncomingMessage): Promise<Buffer>
  /** What `read` gave is no longer needed. */
  release(body: Buffer): void
}

/** Of all requests together: beyond it, whoever comes is asked to come again. */
const mostBytes = 64 * 1024 * 1024

export function createBodyReader(limitBytes: number): BodyReader {
  let held = 0

  function check(size: number): void {
    if (size > limitBytes)
      throw new HttpProblem({
        status: 413,
        title: `the body is longer than ${formatSize(limitBytes)}`,
        hint: 'send smaller batches; of one event, keep the bulk elsewhere and send its address',
      })
    if (held > mostBytes)
      throw new HttpProblem({ status: 503, title: 'too much is being read at once', retryAfterSeconds: 1 })
  }

  return {
    async read(request) {
      check(Number(request.headers['content-length'] ?? 0))
      const chunks: Buffer[] = []
      let size = 0
      try {
        // Destroying the request would end the connection before the answer is out.
        const body: AsyncIterable<Buffer> = request.iterator({ destroyOnReturn: false })
        for await (const chunk of body) {
          size += chunk.length
          held += chunk.length
          check(size)
          chunks.push(chunk)
        }
        return Buffer.concat(chunks, size)
      } catch (error) {
        held -= size
        // Whoever went away hears nothing of this, and it is no failure of ours.
        if (request.readableAborted) throw new HttpProblem({ status: 400, title: 'the body ends before its end' })
        throw error
      }
    },
    release: (body) => {
      held -= body.length
    },
  }
}
