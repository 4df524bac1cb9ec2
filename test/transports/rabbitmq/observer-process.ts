// Observes one topic until it is killed; or closes by itself, and then must end.
import { openRabbit } from '../../../src/transports/rabbitmq/index.ts'

const [url = '', topic = '', mode] = process.argv.slice(2)
const transport = await openRabbit(url)
if (mode === 'close') {
  // The parent's channel would keep it.
  process.disconnect?.()
  setTimeout(() => void transport.close(), 300)
}
const options = { from: 'now', follow: true, signal: new AbortController().signal } as const
for await (const _ of transport.observe({ topics: [topic], patterns: [] }, options));
