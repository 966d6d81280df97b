import { AlertOutlined } from '@ant-design/icons';
import { definePage } from '../registry';

export default definePage({
  name: 'anomalies',
  title: { en: 'Anomalies', 'zh-CN': '异常', 'zh-TW': '異常' },
  icon: AlertOutlined,
  group: 'watch',
  order: 30,
  need: 'read',
  load: () => import('./Anomalies'),
});
