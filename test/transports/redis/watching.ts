import { onTestFinished } from 'vitest'
import { openRedis } from '../../../src/transports/redis/index.ts'
import type { ObserveOptions, Received, Transport, TransportOptions } from '../../../src/transports/transport.ts'

export const textOf = ({ body }: Received) => Buffer.from(body).toString()

/** A transport that the test closes, and what it told behind the reader's back. */
export async function openTold(url: string, options: TransportOptions = {}) {
  const problems: string[] = []
  const transport = await openRedis(url, { ...options, onProblem: (error) => void problems.push(error.message) })
  onTestFinished(() => transport.close())
  return { transport, problems }
}

/** Everything that one observer shows, while it runs. */
export function watch(
  transport: Transport,
  topics: readonly string[],
  options: Partial<ObserveOptions> & { readonly patterns?: readonly string[] } = {},
) {
  const seen: Received[] = []
  const stopping = new AbortController()
  onTestFinished(() => stopping.abort())
  const selector = { topics, patterns: options.patterns ?? [] }
  const run = async () => {
    const from = options.from ?? 'start'
    const follow = options.follow ?? true
    for await (const batch of transport.observe(selector, { from, follow, signal: stopping.signal }))
      seen.push(...batch)
  }
  const done = run()
  done.catch(() => {})
  const stop = () => {
    stopping.abort()
    return done
  }
  return { seen, texts: () => seen.map(textOf), done, stop }
}
