import type { PublishOptions } from '../core/publish-options.ts'
import type { Config } from './config.ts'

/** What a variable of its own says counts before the object of all settings. */
export function publishOf(config: Config): PublishOptions {
  const given = config.get('publish').value ?? {}
  const [batch, timeout] = [config.get('publishBatch'), config.get('publishTimeoutMs')]
  return {
    ...given,
    ...(batch.origin === 'default' ? {} : { batch: { ...given.batch, size: batch.value } }),
    ...(timeout.origin === 'default' ? {} : { timeout: `${timeout.value}ms` }),
  }
}
