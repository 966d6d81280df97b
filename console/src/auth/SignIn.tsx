// The sign-in page: account, admin token, or single sign-on. It stands in place of the page that was
// asked for, so that after signing in one is there.

import { Alert, Button, Input, Segmented } from 'antd';
import { type SyntheticEvent, useEffect, useId, useState } from 'react';
import { useSearchParams } from 'react-router';
import { type ApiError } from '../api/errors';
import { useRead } from '../api/queries';
import { apiUrl } from '../api/urls';
import { useTexts } from '../i18n/language';
import { Choices } from '../ui/Choices';
import { ErrorBanner } from '../ui/ErrorBanner';
import { Mark } from '../ui/Mark';
import { useAuth } from './session';
import { signInTexts } from './texts';

type Way = 'password' | 'token';
/** In the address, as `control/oidc_sign_in.py` writes it. */
const REFUSED = 'sign_in';

interface Props {
  readonly hasExpired: boolean;
  /** What they signed in by before, where that is known. */
  readonly by?: Way;
}

export default function SignIn({ hasExpired, by = 'token' }: Props) {
  const t = useTexts(signInTexts);
  const [way, setWay] = useState<Way>(by);
  const refused = useRefused();
  useEffect(() => {
    const before = document.title;
    document.title = `${t.title} · Tallygate`;
    return () => {
      document.title = before;
    };
  }, [t.title]);
  return (
    <main className="sign-in">
      <div className="sign-in-card">
        <Mark />
        <h1>{t.title}</h1>
        <p className="muted">{t.lead}</p>
        {hasExpired && !refused ? <Alert type="info" title={t.expired} showIcon /> : null}
        {refused ? <Alert type="error" role="alert" title={refused} showIcon /> : null}
        <Segmented<Way>
          block
          value={way}
          onChange={setWay}
          options={[
            { value: 'token', label: t.withToken },
            { value: 'password', label: t.withPassword },
          ]}
        />
        {way === 'token' ? <TokenForm /> : <PasswordForm />}
        <Provider />
      </div>
      <Choices />
    </main>
  );
}

/** Why the provider's sign-in came to nothing: the server leads back here with its code. */
function useRefused(): string {
  const t = useTexts(signInTexts);
  const [search] = useSearchParams();
  const code = search.get(REFUSED);
  if (!code) return '';
  return code === 'forbidden' ? t.notAllowed : t.notSignedIn;
}

function Provider() {
  const t = useTexts(signInTexts);
  const methods = useRead('/api/session/methods');
  const [search] = useSearchParams();
  const address = methods.data?.oidc;
  if (!address) return null;
  const wanted = new URLSearchParams(search);
  wanted.delete(REFUSED);
  const next = window.location.pathname + (wanted.size > 0 ? `?${wanted}` : '');
  return (
    <Button block href={apiUrl(address, {}, { next })}>
      {t.withProvider}
    </Button>
  );
}

function TokenForm() {
  const t = useTexts(signInTexts);
  const { withAdminToken } = useAuth();
  const [token, setToken] = useState('');
  const { error, isBusy, submit } = useSubmit(() => withAdminToken(token));
  const id = useId();
  return (
    <form onSubmit={submit}>
      <label htmlFor={id}>{t.token}</label>
      <Input.Password
        id={id}
        value={token}
        autoComplete="current-password"
        autoFocus
        required
        aria-describedby={`${id}-hint`}
        onChange={(event) => {
          setToken(event.target.value);
        }}
      />
      <small id={`${id}-hint`} className="muted">
        {t.tokenHint}
      </small>
      {error ? <ErrorBanner error={error} /> : null}
      <Button type="primary" htmlType="submit" block loading={isBusy}>
        {t.enter}
      </Button>
    </form>
  );
}

function PasswordForm() {
  const t = useTexts(signInTexts);
  const { withPassword } = useAuth();
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const { error, isBusy, submit } = useSubmit(() => withPassword(name, password));
  const id = useId();
  return (
    <form onSubmit={submit}>
      <label htmlFor={`${id}-name`}>{t.name}</label>
      <Input
        id={`${id}-name`}
        value={name}
        autoComplete="username"
        autoFocus
        required
        onChange={(event) => {
          setName(event.target.value);
        }}
      />
      <label htmlFor={`${id}-password`}>{t.password}</label>
      <Input.Password
        id={`${id}-password`}
        value={password}
        autoComplete="current-password"
        required
        onChange={(event) => {
          setPassword(event.target.value);
        }}
      />
      {error ? <ErrorBanner error={error} /> : null}
      <Button type="primary" htmlType="submit" block loading={isBusy}>
        {t.enter}
      </Button>
    </form>
  );
}

function useSubmit(enter: () => Promise<{ ok: true } | { ok: false; error: ApiError }>) {
  const [error, setError] = useState<ApiError | null>(null);
  const [isBusy, setIsBusy] = useState(false);
  const submit = (event: SyntheticEvent): void => {
    event.preventDefault();
    setIsBusy(true);
    void enter().then((result) => {
      setIsBusy(false);
      setError(result.ok ? null : result.error);
    });
  };
  return { error, isBusy, submit };
}
