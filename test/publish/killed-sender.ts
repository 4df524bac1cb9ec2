// Sends for ever, and prints the id of each event that is stored: `node killed-sender.ts <URL>`.
import { createRegistry } from '../../src/core/registry.ts'
import { createPublisher } from '../../src/create-publisher.ts'
import { noted } from './noted.ts'

const publisher = createPublisher({
  store: process.argv[2] ?? '',
  registry: createRegistry([noted]),
  source: 'test',
  settings: { batch: { size: 10 } },
})
for (let n = 0; ; n += 20) {
  const some = Array.from({ length: 20 }, (_, k) =>
    publisher.send({ id: `k-${n + k}`, type: 'note.written', data: { text: String(n + k) } }),
  )
  for (const sent of some) void sent.then(({ state, id }) => state === 'stored' && process.stdout.write(`${id}\n`))
  await Promise.all(some)
}
