import { onTestFinished } from 'vitest'

export interface Message {
  readonly id: string | undefined
  readonly event: string | undefined
  readonly data: string
}

export interface Reading {
  readonly status: number
  /** Of what is no stream. */
  readonly title: string
  readonly messages: Message[]
  /** Where a reader that has read this much goes on. */
  lastId(): string | undefined
  /** All that came, as it came. */
  text(): string
  readonly ended: Promise<void>
  cancel(): void
}

/** Reads server-sent events as browsers do. */
export async function readStream(url: string, headers: Record<string, string> = {}): Promise<Reading> {
  const ending = new AbortController()
  onTestFinished(() => ending.abort())
  const answer = await fetch(url, { headers, signal: ending.signal })
  const messages: Message[] = []
  let lastId: string | undefined
  let whole = ''
  let rest = ''
  const take = (block: string) => {
    const lines = block.split('\n')
    const of = (name: string) =>
      lines.filter((line) => line.startsWith(`${name}: `)).map((line) => line.slice(name.length + 2))
    const [id] = of('id')
    lastId = id ?? lastId
    const data = of('data')
    if (data.length > 0) messages.push({ id: lastId, event: of('event')[0], data: data.join('\n') })
  }
  const read = async () => {
    const decoder = new TextDecoder()
    for await (const chunk of answer.body ?? []) {
      const text = decoder.decode(chunk as Uint8Array, { stream: true })
      whole += text
      const blocks = (rest + text).split('\n\n')
      rest = blocks.pop() ?? ''
      for (const block of blocks) take(block)
    }
  }
  const isStream = answer.headers.get('content-type')?.startsWith('text/event-stream') === true
  return {
    status: answer.status,
    title: isStream ? '' : ((await answer.json()) as { title: string }).title,
    messages,
    lastId: () => lastId,
    text: () => whole,
    ended: isStream ? read().catch(() => {}) : Promise.resolve(),
    cancel: () => ending.abort(),
  }
}

export const idsOf = (messages: readonly Message[]): string[] =>
  messages.filter(({ event }) => event === undefined).map(({ data }) => (JSON.parse(data) as { id: string }).id)
