import type { EvtConfig } from './schema.ts'

/** For `evt.config.ts`: the configuration with its keys checked while it is written. */
export function defineConfig(config: EvtConfig): EvtConfig {
  return config
}
