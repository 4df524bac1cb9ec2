import { expect, it } from 'vitest'
import { createHeadBell } from '../../src/relay/head-bell.ts'
import { createLogPages } from '../../src/relay/log-pages.ts'
import type { LogEntry } from '../../src/store/log.ts'

it('a page that two sinks share is not taken for one that was read after the log had grown', async () => {
  const bell = createHeadBell()
  bell.advance(7n)
  const answer = Promise.withResolvers<readonly LogEntry[]>()
  const readPage = createLogPages({ read: () => answer.promise }, bell)
  const first = readPage(7n)
  // Sequenced after the server had begun to answer.
  bell.advance(9n)
  const second = readPage(7n)
  answer.resolve([])
  // Whoever went on to 9 would pass over two events that the page could not have.
  expect(await second).toEqual({ page: [], head: 7n })
  expect(await first).toEqual({ page: [], head: 7n })
})
