import { z } from 'zod'
import { defineEvent } from '../../../index.ts'
import { country, instant, type Personal, word } from './personal.ts'

/** Who logs in, from where, and what protects the account. Never a secret: no password, no code, no token. */
export function authEvents(personal: Personal) {
  const user = z.object({ user_id: z.uuid() })
  const session = z.object({
    session_id: z.uuid(),
    ip: personal(z.ipv4()),
    user_agent: z.string().max(300),
    country: country.optional(),
  })
  const withSession = user.extend({ auth_data: session })
  return {
    authLogin: defineEvent('auth.login', { 1: withSession }),
    authLogout: defineEvent('auth.logout', { 1: withSession }),
    authSessionChanged: defineEvent('auth.session_changed', {
      1: user.extend({
        auth_data: session.extend({ permissions: z.array(z.enum(['read', 'write', 'share', 'manage'])).max(4) }),
        changes: z.array(z.string().min(1)),
      }),
    }),
    authLoginFailed: defineEvent('auth.login_failed', {
      1: user.extend({
        auth_data: session.omit({ session_id: true }),
        reason: z.enum(['wrong_password', 'wrong_code', 'account_locked', 'unknown_device']),
      }),
    }),
    authSuspiciousLogin: defineEvent('auth.suspicious_login', {
      1: withSession.extend({ signals: z.array(z.enum(['new_ip', 'new_country', 'account_locked'])).min(1) }),
    }),
    authAccountLocked: defineEvent('auth.account_locked', {
      1: user.extend({ failures: z.int().min(1), locked_until: instant }),
    }),
    authAccountUnlocked: defineEvent('auth.account_unlocked', {
      1: user.extend({ reason: z.enum(['expired', 'password_reset', 'operator']) }),
    }),
    authMfaEnrolled: defineEvent('auth.mfa_enrolled', {
      1: user.extend({ method: z.enum(['totp', 'webauthn', 'sms']) }),
    }),
    authPasswordChanged: defineEvent('auth.password_changed', {
      1: user.extend({ by: z.enum(['user', 'reset', 'operator']) }),
    }),
    authRoleChanged: defineEvent('auth.role_changed', {
      1: user.extend({ roles: z.array(word).max(20), tenant_id: z.uuid().optional() }),
    }),
    authTenantConfigured: defineEvent('auth.tenant_configured', {
      1: z.object({
        tenant_id: z.uuid(),
        mfa_required: z.boolean(),
        most_failures: z.int().min(1).max(100),
        window_seconds: z.int().min(1).max(86_400),
        lockout_seconds: z.int().min(1).max(86_400),
      }),
    }),
  }
}
