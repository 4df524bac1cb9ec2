import type { Capabilities } from './transport.ts'

/** At most once, in no order, kept by nobody: a transport says what it has above this. */
export const nothingPromised: Capabilities = {
  order: 'none',
  durable: false,
  history: false,
  deduplicates: false,
  transactional: false,
  shared: false,
  marksStarted: false,
  content: 'bytes',
  seeks: [],
  ownMark: false,
  deadLetters: false,
  removes: false,
}
