import type { PublishOutcome } from './outcome.ts'
import type { Pipeline } from './pipeline.ts'

const unsent = Promise.resolve<PublishOutcome>(Object.freeze({ state: 'unsent', id: undefined }))

/** For what is switched off: an event costs a call, and nothing is allocated. */
export const publishNowhere: Pipeline = {
  publish: () => unsent,
  flush: async () => {},
  close: async () => {},
}
