// New codes, shown once: to download or to copy.

import { DownloadOutlined } from '@ant-design/icons';
import { Alert, Button, Modal } from 'antd';
import type { Schemas } from '../../api/client';
import { useTexts } from '../../i18n/language';
import { Copyable } from '../../ui/Copyable';
import { csvOf, download } from '../../ui/csv';
import { plainPoints } from '../../ui/points';
import { redeemTexts } from './texts';

interface Props {
  readonly made: Schemas['Batch'] | null;
  readonly onClose: () => void;
}

export function CodesShown({ made, onClose }: Props) {
  const t = useTexts(redeemTexts);
  const codes = made?.codes ?? [];
  const save = (): void => {
    if (!made) return;
    const points = plainPoints(made.points_micros);
    const rows = codes.map((code) => [code, points, made.expires_at ?? '']);
    download(`codes-${made.id}.csv`, csvOf([t.code, t.points, t.expires], rows));
  };
  return (
    <Modal
      title={t.made}
      open={made !== null}
      width={640}
      mask={{ closable: false }}
      keyboard={false}
      cancelButtonProps={{ hidden: true }}
      okText={t.gotThem}
      onOk={onClose}
      onCancel={onClose}
    >
      <Alert
        type="warning"
        showIcon
        title={t.madeHint}
        action={
          <Button type="primary" icon={<DownloadOutlined />} onClick={save}>
            {t.download}
          </Button>
        }
      />
      <div className="long-list">
        <Copyable text={codes.join('\n')} label={t.made} isBlock />
      </div>
    </Modal>
  );
}
