import { CloudServerOutlined } from '@ant-design/icons';
import { definePage } from '../registry';

export default definePage({
  name: 'providers',
  title: { en: 'Providers', 'zh-CN': '服务商', 'zh-TW': '供應商' },
  icon: CloudServerOutlined,
  group: 'traffic',
  order: 60,
  need: 'read',
  load: () => import('./Providers'),
});
