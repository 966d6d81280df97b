// Who somebody is to the reader: roles, and those who change things and are nobody's account.

import { useTexts } from '../i18n/language';
import { frameTexts, partTexts } from './texts';

const ROLES = ['admin', 'operator', 'viewer', 'member'] as const;
const FIRST_START = /^first start, from (.*)$/; // the reason that the server gives for its own prices

export function useRoleName(): (role: string) => string {
  const t = useTexts(frameTexts);
  return (role) => {
    const known = ROLES.find((one) => one === role);
    return known ? t[known] : role;
  };
}

/** Of a price or a rate: the admin token and the server's first start have names of their own. */
export function useActorName(): (actor: string) => string {
  const t = useTexts(partTexts);
  return (actor) => {
    if (actor === 'admin') return t.adminToken;
    return actor === 'setup' ? t.setup : actor;
  };
}

/** What somebody wrote is theirs; what the server wrote is said in the reader's language. */
export function useReason(): (reason: string) => string {
  const t = useTexts(partTexts);
  return (reason) => {
    const source = FIRST_START.exec(reason)?.[1];
    return source === undefined ? reason : t.firstStart(source);
  };
}
