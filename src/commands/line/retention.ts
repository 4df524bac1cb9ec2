import { type RetentionPolicy, resolveRetention } from '../../core/retention.ts'
import type { Runtime } from '../runtime.ts'

/** What the configuration says about retention; nothing, where it says nothing. */
export function retentionOf({ config }: Pick<Runtime, 'config'>): RetentionPolicy {
  return resolveRetention(config.get('retention').value ?? {})
}
