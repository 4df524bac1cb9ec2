import { cache } from './handlers/cache.ts'
import { cleanUp } from './handlers/clean-up.ts'
import { configuration } from './handlers/configuration.ts'
import { health } from './handlers/health.ts'
import { maintenance } from './handlers/maintenance.ts'
import { permissions } from './handlers/permissions.ts'
import { preferences } from './handlers/preferences.ts'
import { recommendations } from './handlers/recommendations.ts'
import { sessions } from './handlers/sessions.ts'
import { settings } from './handlers/settings.ts'
import { usage } from './handlers/usage.ts'
import { userDirectory } from './handlers/user-directory.ts'

export const handlers = [
  userDirectory,
  preferences,
  permissions,
  sessions,
  usage,
  recommendations,
  cleanUp,
  settings,
  configuration,
  maintenance,
  cache,
  health,
]
