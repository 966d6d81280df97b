// A new token, shown once, with the command that tries it.

import { Alert, Modal } from 'antd';
import { useRead } from '../../api/queries';
import { useTexts } from '../../i18n/language';
import { Copyable } from '../../ui/Copyable';
import { curlOf, NO_ROUTE, pathFor } from './snippet';
import { tokenTexts } from './texts';
import type { Token } from './Tokens';

const ROUTES = 200;

interface Props {
  readonly made: Token | null;
  readonly onClose: () => void;
}

export function TokenShown({ made, onClose }: Props) {
  const t = useTexts(tokenTexts);
  return (
    <Modal
      title={t.made}
      open={made !== null}
      width={640}
      mask={{ closable: false }}
      keyboard={false}
      cancelButtonProps={{ hidden: true }}
      okText={t.gotIt}
      onOk={onClose}
      onCancel={onClose}
    >
      <Alert type="warning" showIcon title={t.madeHint} />
      {made ? <Secret made={made} /> : null}
    </Modal>
  );
}

function Secret({ made }: { readonly made: Token }) {
  const t = useTexts(tokenTexts);
  const routes = useRead('/api/routes', { query: { limit: ROUTES } });
  const path = pathFor(made.scopes, routes.data?.items ?? []);
  const secret = made.token ?? '';
  return (
    <>
      <Copyable text={secret} label={t.token} isBlock />
      <h3>{t.tryIt}</h3>
      {path === NO_ROUTE ? <p className="muted">{t.tryHint}</p> : null}
      <Copyable text={curlOf(window.location.origin, path, secret)} label="curl" isBlock />
    </>
  );
}
