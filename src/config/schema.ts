import { z } from 'zod'
import { EvtError } from '../core/errors.ts'
import { logLevels } from './keys.ts'
import type { Service } from './services.ts'

const quantity = z.union([z.string(), z.number()])
const service = z.custom<Service>(
  (given) => typeof given === 'object' && given !== null && 'name' in given,
  'it is no service',
)

const profile = z.strictObject({
  store: z.string().optional(),
  protect: z.boolean().optional(),
  readonly: z.boolean().optional(),
})

/** What `evt.config.*` and `$XDG_CONFIG_HOME/evt/config.yaml` may hold. */
export const configFileSchema = z.strictObject({
  store: z.string().optional(),
  profile: z.string().optional(),
  color: z.enum(['auto', 'always', 'never']).optional(),
  services: z.array(z.union([z.string(), service])).optional(),
  grace: quantity.optional(),
  logLevel: z.enum(logLevels).optional(),
  retryAttempts: quantity.optional(),
  timeout: quantity.optional(),
  processing: z.boolean().optional(),
  profiles: z.record(z.string(), profile).optional(),
})
/** The argument of `defineConfig`. */
export type EvtConfig = z.input<typeof configFileSchema>

export function checkConfigFile(content: unknown, path: string): z.output<typeof configFileSchema> {
  const checked = configFileSchema.safeParse(content)
  if (checked.success) return checked.data
  const problems = checked.error.issues.map((issue) => `${issue.path.join('.') || 'the file'}: ${issue.message}`)
  const hint = `keys: ${Object.keys(configFileSchema.shape).join(', ')}`
  throw new EvtError('config', `cannot use ${path}: ${problems.join('; ')}`, { hint })
}
