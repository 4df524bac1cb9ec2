import { EvtError } from '../../core/errors.ts'
import type { LogAppender, LogPosition, Published } from '../transport.ts'
import type { Broker } from './broker.ts'
import type { Topic } from './topic.ts'

/** What a topic knows of the log that is written to it, whoever leads. One mark for all lanes: nothing is lost here. */
interface Marked {
  epoch: bigint
  mark: LogPosition
}

const marks = new WeakMap<Topic, Marked>()

export function openMemoryLog(broker: Broker, topic: Topic, epoch: bigint): LogAppender {
  const known = marks.get(topic) ?? { epoch, mark: 0n }
  marks.set(topic, known)
  const assertLeading = () => {
    if (known.epoch > epoch)
      throw new EvtError('fenced', `cannot append to ${topic.name}: epoch ${epoch} was replaced by ${known.epoch}`)
  }
  assertLeading()
  known.epoch = epoch

  return {
    mark: async () => known.mark,
    async append(batch, through) {
      assertLeading()
      const timeMs = Date.now()
      let refused: Published | undefined
      const results = batch.map((message): Published => {
        const log = message.log ?? 0n
        if (refused) return refused
        if (log <= known.mark) return { state: 'duplicate' }
        const stored = broker.republish(topic, message, timeMs)
        if (stored.state === 'stored') known.mark = log
        else refused = stored
        return stored
      })
      if (!refused && through > known.mark) known.mark = through
      return results
    },
    async close() {},
  }
}
