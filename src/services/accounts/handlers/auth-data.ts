import { dataHolder } from '../data-holder.ts'

export const authData = dataHolder({
  service: 'auth',
  tables: ['users', 'roles', 'credentials', 'mfa', 'sessions', 'login_attempts', 'lockouts'],
  internal: ['password_resets', 'exports', 'export_parts'],
})
