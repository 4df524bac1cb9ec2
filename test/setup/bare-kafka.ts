import { Kafka, type KafkaConfig, logLevel } from 'kafkajs'
import RequestQueue from 'kafkajs/src/network/requestQueue/index.js'

/** kafkajs as it is, silent: what evt is compared with, and what does to a broker what evt never does. */
export function bareKafka(port: number, config: Partial<KafkaConfig> = {}): Kafka {
  return new Kafka({ brokers: [`127.0.0.1:${port}`], logLevel: logLevel.NOTHING, ...config })
}

const pendingMs = 10

// As in kafkajs 2.2.4, but for the least that a timer may be told: without a throttle it counts from -1, and Node warns of that.
RequestQueue.prototype.scheduleCheckPendingRequests = function scheduleCheckPendingRequests(): void {
  if (this.throttleCheckTimeoutId) return
  const least = this.pending.length > 0 ? pendingMs : 1
  this.throttleCheckTimeoutId = setTimeout(
    () => {
      this.throttleCheckTimeoutId = null
      this.checkPendingRequests()
    },
    Math.max(least, this.throttledUntil - Date.now()),
  )
}
