import { gdprDeletion } from './scenarios/gdpr-deletion.ts'
import { gdprExport } from './scenarios/gdpr-export.ts'
import { passwordReset } from './scenarios/password-reset.ts'
import { signup } from './scenarios/signup.ts'
import { suspiciousLogin } from './scenarios/suspicious-login.ts'

export const scenarios = [signup, passwordReset, gdprExport, gdprDeletion, suspiciousLogin]
